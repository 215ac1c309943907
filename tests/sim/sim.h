/*
 * sim.h - the outside world, made up: threads, locks, clock and disk.
 *
 * The second implementation of mm/os.h (os_sim.c) and mm/page_io.h
 * (page_io_sim.c). A run has one seed, and the seed decides everything: which
 * thread goes on at each lock, wait and I/O, how long the disk takes, when it
 * copies which sector, what fails. The same seed is the same run; a failure is
 * reported with its seed, and then seen again at will.
 *
 * Threads are coroutines of one real thread: between two calls into os.h or
 * page_io.h nothing else runs. A test may therefore compare a page with its
 * model without a lock, and be sure that neither changes meanwhile. The clock
 * is virtual: it moves a little at each step, and jumps to the next timer when
 * nobody can run.
 *
 * With mm/ (only) compiled, but not linked, with -fsanitize=thread, threads are
 * also switched between any two accesses to memory: see preempt_sim.c.
 */
#ifndef TESTS_SIM_H
#define TESTS_SIM_H

#include "mm/types.h"

#include <time.h>

/* What a zero means is in brackets. */
struct sim_options {
	unsigned int nr_cpus; /* of the machine [2 to 4, by seed] */
	uint64_t max_steps;   /* more are a livelock [20 million] */
	uint64_t max_ns;      /* the same by the virtual clock [one day] */
	uint64_t hang_ns;     /* longest wait for a lock or a signal [300 s] */
};

struct sim_result {
	uint64_t hash; /* of the schedule: equal for equal runs */
	uint64_t nr_steps, nr_switches, now_ns;
};

/*
 * Run fn(arg) as the first thread of a new world; returns when it has, and
 * every thread it started has ended. Whatever goes wrong is printed together
 * with the seed, and ends in abort().
 */
struct sim_result sim_run(uint64_t seed, const struct sim_options *options,
			  void (*fn)(void *), void *arg);

/* Print a message, the seed and what each thread is doing, and abort. */
_Noreturn void sim_fail(const char *format, ...)
	__attribute__((format(printf, 1, 2)));

/* Random numbers for the test and the disk; not those of the schedule. */
uint64_t sim_random(void);
/* From [least, most]. */
uint64_t sim_between(uint64_t least, uint64_t most);
bool sim_chance(unsigned int percent);

/* Another thread may run here. */
void sim_yield(void);
/* The same, where the compiler has put it: seldom. */
void sim_preempt(void);

/*
 * Between the two this thread may take locks, but must not sleep or wait for a
 * condition. They nest.
 */
void sim_no_sleep_begin(void);
void sim_no_sleep_end(void);

/* This thread waits for work, for however long: no sign of a deadlock. */
void sim_set_idle(bool idle);
/* The same of all who wait for this. */
struct os_cond;
void sim_set_idle_cond(struct os_cond *c);

/* TSan shall not look at what is read and written between the two. */
void sim_ignore_races_begin(void);
void sim_ignore_races_end(void);

/* --- the fake disk -------------------------------------------------------- */

/* Transfers with a direct descriptor are in multiples of this. */
#define SIM_SECTOR 512

struct sim_disk_options {
	unsigned int read_error_percent;
	unsigned int write_error_percent;
	unsigned int short_percent; /* transfers that end before they should */
	uint64_t delay_max_ns;	    /* [5 ms] */
	/*
	 * Readers do not wait for writers of the same sectors: they get the old
	 * ones or the new ones. [a bug of the caller]
	 */
	bool mixed;
	bool no_fallocate; /* -EOPNOTSUPP */
};

/* No files, no faults. Done by sim_run(). */
void sim_disk_reset(void);
void sim_disk_set(const struct sim_disk_options *options);
/* All writes fail with err (-errno); 0: no longer. */
void sim_disk_fail_writes(int err);

/*
 * A new file of size bytes of zeroes, opened with O_DIRECT; and the descriptor
 * of the same file without.
 */
int sim_file_create(uint64_t size);
int sim_file_buffered(int fd);
/* It must not have I/O under way. */
void sim_file_remove(int fd);

/* What a read(2) would see now; behind the end there are zeroes. */
uint64_t sim_file_size(int fd);
const unsigned char *sim_file_data(int fd, uint64_t offset, uint64_t len);
/* What would be left after a power cut now. */
uint64_t sim_file_durable_size(int fd);
const unsigned char *sim_file_durable(int fd, uint64_t offset, uint64_t len);
/* Put data there, durably. */
void sim_file_fill(int fd, uint64_t offset, const void *data, uint64_t len);
/*
 * More descriptors of a file (-1: of none, and not for I/O), numbers that are
 * never used again: I/O with one that was closed ends the run. "number" may be
 * made to stand for what fd does.
 */
#define SIM_FD_FIRST 1000
int sim_fd_open(int fd, bool direct);
void sim_fd_replace(int number, int fd);
void sim_fd_close(int fd);

/*
 * Writes that the disk was made to say it has done, and has not: told as they
 * begin, from the thread that begins them, which may have any lock. And: is one of
 * these bytes as it is because of one?
 */
void sim_disk_on_lost(void (*fn)(int fd, uint64_t from, uint64_t to, void *arg),
		      void *arg);
bool sim_file_is_lost(int fd, uint64_t offset, uint64_t len);

/* Room in all files together; of a file: blocks that it has, when it changed. */
#define SIM_BLOCK 4096
void sim_disk_set_room(uint64_t blocks);
uint64_t sim_disk_room(void);
uint64_t sim_file_blocks(int fd);
bool sim_file_has_block(int fd, uint64_t block);
/* How often it was written to, cut, or allocated. */
uint64_t sim_file_nr_changes(int fd);
struct timespec sim_file_mtime(int fd);
struct timespec sim_file_ctime(int fd);
void sim_file_set_times(int fd, const struct timespec *mtime);
/* The clock of the file system: a coarse one. */
struct timespec sim_file_now(void);
/* fallocate(2), ftruncate(2), fsync(2) at once. 0 or -ENOSPC. */
int sim_file_allocate(int fd, uint64_t offset, uint64_t len, bool keep_size);
void sim_file_punch(int fd, uint64_t offset, uint64_t len);
void sim_file_truncate(int fd, uint64_t size);
void sim_file_sync(int fd);

/*
 * Power cut: of each sector that was not synced either the old or the new
 * contents are left. There must be no I/O under way.
 */
void sim_file_crash(int fd);

#endif
