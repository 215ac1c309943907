/* sysctl.c - the table, and what a change sets in motion. */
#include "mm/sysctl.h"

#include "mm/mm.h"
#include "mm/watermark.h"

#include <errno.h>

static const struct {
	const char *name;
	long def, least, most;
} settings[NR_VM_SETTINGS] = {
#define X(item, name, def, least, most) [item] = { #name, def, least, most },
	VM_SETTINGS(X)
#undef X
};

const char *vm_setting_name(enum vm_setting s)
{
	ASSERT(s < NR_VM_SETTINGS);
	return settings[s].name;
}

void vm_settings_init(struct mm *mm)
{
	for (int s = 0; s < NR_VM_SETTINGS; s++)
		atomic_store(&mm->vm[s], settings[s].def);
	atomic_store(
		&mm->vm[VM_MIN_FREE_KBYTES],
		(long)watermark_default_min_free_kbytes(mm->arena.size >> 10));
}

int vm_set(struct mm *mm, enum vm_setting s, long value)
{
	long most = settings[s].most;

	if (s == VM_MIN_FREE_KBYTES)
		most = (long)(mm->arena.size >> 10) / 8;
	if (value < settings[s].least || value > most)
		return -EINVAL;
	mutex_lock(&mm->vm_lock);
	atomic_store(&mm->vm[s], value);
	watermark_setup(mm);
	mutex_unlock(&mm->vm_lock);
	return 0;
}
