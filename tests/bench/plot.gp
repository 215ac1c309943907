# Each ratio as a bar from 1, its range, and its goal. The caller sets data
# (label, ratio, lowest, highest, goal or 0) and image.
stats data using 2 nooutput
rows = STATS_records
set terminal svg size 1100, 120 + 22 * rows font "sans-serif,12" background "white"
set output image
set logscale x 2
set xrange [0.01:16] noextend
set yrange [rows - 0.4:-0.6]
set xtics (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
set ytics noenhanced
set grid xtics
set lmargin 38
set xlabel "ratio; more than 1 is faster than what it is compared with"
set key outside top center horizontal
set style fill solid 0.7 noborder
set arrow from 1, graph 0 to 1, graph 1 nohead lw 2
# Those that meet their goal, those that do not, and those that have none.
met(r, g) = g > 0 && r >= g ? r : NaN
missed(r, g) = g > 0 && r < g ? r : NaN
other(r, g) = g > 0 ? NaN : r
plot data using (met($2, $5)):0:(1):(met($2, $5)):($0 - 0.35):($0 + 0.35):ytic(1) \
	with boxxyerror lc rgb "#3b8f4f" title "meets its goal", \
     "" using (missed($2, $5)):0:(1):(missed($2, $5)):($0 - 0.35):($0 + 0.35) \
	with boxxyerror lc rgb "#c0583b" title "does not", \
     "" using (other($2, $5)):0:(1):(other($2, $5)):($0 - 0.35):($0 + 0.35) \
	with boxxyerror lc rgb "#8a8a8a" title "has none", \
     "" using 2:0:3:4 with xerrorbars pt 0 lc rgb "black" title "range of the rounds", \
     "" using ($5 > 0 ? $5 : NaN):0 with points pt 13 ps 1.2 lc rgb "#1f4f9f" title "goal"
