/* mountinfo.c - words between blanks; what is blank in them is escaped. */
#include "fs/mountinfo.h"

#include <stdlib.h>
#include <string.h>

static bool is_octal(const char *s)
{
	for (int i = 0; i < 3; i++)
		if (s[i] < '0' || s[i] > '7')
			return false;
	return true;
}

/* The word, \040 and the like undone; false if it does not fit. */
static bool copy_word(const char *word, char *to, size_t size)
{
	size_t n = 0;

	for (; *word && n < size; n++)
		if (*word == '\\' && is_octal(word + 1)) {
			to[n] = (char)((word[1] - '0') << 6 |
				       (word[2] - '0') << 3 | (word[3] - '0'));
			word += 4;
		} else {
			to[n] = *word++;
		}
	if (n == size)
		return false;
	to[n] = '\0';
	return true;
}

/* The n-th word from here on, or NULL; *s: behind it. */
static char *word_at(char **s, unsigned int n)
{
	char *word = NULL;

	while (n-- > 0) {
		*s += strspn(*s, " \t\n");
		if (!**s)
			return NULL;
		word = *s;
		*s += strcspn(*s, " \t\n");
		if (**s)
			*(*s)++ = '\0';
	}
	return word;
}

/* ID PARENT MAJ:MIN ROOT WHERE OPTIONS [TAG...] - TYPE SOURCE OPTIONS */
bool mountinfo_parse(char *line, struct mount_line *m)
{
	char *dash = strstr(line, " - ");
	const char *where, *type, *source;

	if (!dash)
		return false;
	*dash = '\0';
	dash += 3;
	where = word_at(&line, 5);
	type = word_at(&dash, 1);
	source = word_at(&dash, 1);
	return where && type && source &&
	       copy_word(where, m->where, sizeof(m->where)) &&
	       copy_word(type, m->type, sizeof(m->type)) &&
	       copy_word(source, m->source, sizeof(m->source));
}

bool mountinfo_next(FILE *f, struct mount_line *m)
{
	char *line = NULL;
	size_t size = 0;
	bool found = false;

	/* Escaped, a path is four times as long; options are added to that. */
	while (f && !found && getline(&line, &size, f) > 0)
		found = mountinfo_parse(line, m);
	free(line);
	if (f && !found)
		fclose(f);
	return found;
}
