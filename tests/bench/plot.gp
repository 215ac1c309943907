# Ratios to the bare directory. The caller sets data, image, and how many columns
# data has: columns.
set terminal svg size 1100,520 font "sans-serif,12" background "white"
set output image
set style data histogram
set style histogram clustered gap 1
set style fill solid 0.85 border -1
set boxwidth 0.9
set xtics rotate by -35 noenhanced
set ylabel "rate / rate of the bare directory"
set yrange [0:*]
set grid ytics
set key outside top center horizontal noenhanced
set arrow from graph 0, first 1 to graph 1, first 1 nohead lw 2 dt 2
plot for [i = 2:columns] data using i:xtic(1) title columnheader(i)
