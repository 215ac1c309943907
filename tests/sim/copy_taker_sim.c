/*
 * copy_taker_sim.c - who takes the kernel's copies back, where there is no
 * kernel: it takes its time, leaves some behind, and dies now and then.
 */
#include "fs/copy_taker.h"

#include "tests/sim/sim.h"

#include <errno.h>

int copy_taker_restart(struct copy_taker *t)
{
	atomic_store(&t->dead, false);
	return 0;
}

int copy_taker_take(struct copy_taker *t, struct copy_order *orders,
		    unsigned int nr)
{
	os_sleep_ns(sim_between(1, 3 * NSEC_PER_MSEC));
	if (sim_chance(2))
		atomic_store(&t->dead, true);
	for (unsigned int i = 0; i < nr; i++)
		if (atomic_load(&t->dead) ||
		    (orders[i].how == COPY_TAKE_IDLE && sim_chance(20)))
			orders[i].nr_left =
				(uint32_t)sim_between(0, orders[i].nr_left);
		else
			orders[i].nr_left = 0;
	return atomic_load(&t->dead) ? -EIO : 0;
}

/* Nothing is dirty here, but it need not know. */
int copy_taker_look(struct copy_taker *t, const struct copy_order *order,
		    struct kernel_view *view)
{
	(void)t;
	os_sleep_ns(sim_between(1, NSEC_PER_MSEC));
	if (sim_chance(10))
		return -EAGAIN;
	*view = (struct kernel_view){ .start = order->offset,
				      .end = order->offset };
	if (sim_chance(20))
		view->end += PAGE_SIZE;
	return 0;
}

int copy_taker_push(struct copy_taker *t, const struct copy_order *order,
		    uint64_t patience_ns)
{
	(void)t;
	(void)order;
	(void)patience_ns;
	return 0;
}

void copy_taker_hurry(void)
{
}
