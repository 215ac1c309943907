/* list.h - intrusive circular doubly linked list. */
#ifndef MM_LIST_H
#define MM_LIST_H

#include "mm/types.h"

struct list_head {
	struct list_head *next, *prev;
};

static inline void list_init(struct list_head *head)
{
	head->next = head->prev = head;
}

static inline bool list_empty(const struct list_head *head)
{
	return head->next == head;
}

/* Right behind head: the next one taken by list_first_entry(). */
static inline void list_add(struct list_head *head, struct list_head *node)
{
	node->next = head->next;
	node->prev = head;
	head->next->prev = node;
	head->next = node;
}

/* Right before head: the last one. */
static inline void list_add_tail(struct list_head *head, struct list_head *node)
{
	list_add(head->prev, node);
}

static inline void list_del(struct list_head *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	node->next = node->prev = NULL;
}

/* Unlink, and leave the node an empty list, so that list_empty(node) says so. */
static inline void list_del_init(struct list_head *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

static inline void list_move(struct list_head *head, struct list_head *node)
{
	list_del(node);
	list_add(head, node);
}

static inline void list_move_tail(struct list_head *head,
				  struct list_head *node)
{
	list_del(node);
	list_add_tail(head, node);
}

/* All of from in front of what head has; from is empty afterwards. */
static inline void list_splice(struct list_head *head, struct list_head *from)
{
	if (list_empty(from))
		return;
	from->prev->next = head->next;
	head->next->prev = from->prev;
	head->next = from->next;
	from->next->prev = head;
	list_init(from);
}

#define list_first_entry(head, type, member) \
	container_of((head)->next, type, member)

#define list_last_entry(head, type, member) \
	container_of((head)->prev, type, member)

#define list_for_each_entry(pos, head, type, member)         \
	for (pos = container_of((head)->next, type, member); \
	     &pos->member != (head);                         \
	     pos = container_of(pos->member.next, type, member))

/* The same, when the body may unlink pos. */
#define list_for_each_entry_safe(pos, n, head, type, member)  \
	for (pos = container_of((head)->next, type, member),  \
	    n = container_of(pos->member.next, type, member); \
	     &pos->member != (head);                          \
	     pos = n, n = container_of(n->member.next, type, member))

#endif
