#!/bin/bash
# timeout: 120
#
# big_copy_budget with the smallest budget there is.
BIG_COPY_MIB=100 BIG_COPY_MEM=8M exec "$(dirname "$0")/big_copy_budget.sh"
