/* ctl_mkswap.c - the operands; swap/format.c does it. */
#include "tools/ctl_mkswap.h"

#include "mm/size.h"
#include "swap/format.h"
#include "tools/ctl_error.h"

#include <stdio.h>
#include <string.h>

static int usage(void)
{
	ctl_error("usage: plimsollctl mkswap " CTL_MKSWAP_OPERANDS);
	return CTL_USAGE;
}

int ctl_mkswap(int argc, char **argv)
{
	const char *label = NULL;
	struct swap_problem why;
	bool force = false;
	uint64_t size;

	for (; argc > 0 && argv[0][0] == '-'; argc--, argv++) {
		if (strcmp(argv[0], "--force") == 0 ||
		    strcmp(argv[0], "-f") == 0) {
			force = true;
		} else if ((strcmp(argv[0], "--label") == 0 ||
			    strcmp(argv[0], "-L") == 0) &&
			   argc > 1) {
			label = *++argv;
			argc--;
		} else {
			return usage();
		}
	}
	if (argc != 2)
		return usage();
	if (label && strlen(label) > SWAP_LABEL_MAX) {
		ctl_error("label %s: is longer than %d bytes", label,
			  SWAP_LABEL_MAX);
		return CTL_USAGE;
	}
	if (!size_parse(argv[1], &size)) {
		ctl_error("%s: is not a size (such as 512M or 4G)", argv[1]);
		return CTL_USAGE;
	}
	if (swap_file_make(argv[0], size, label, force, &why) < 0)
		return ctl_error("%s", why.text);
	printf("%s: %llu MiB of swap\n", argv[0],
	       (unsigned long long)(size >>
				    SWAP_CLUSTER_SHIFT << SWAP_CLUSTER_SHIFT >>
				    20));
	return CTL_OK;
}
