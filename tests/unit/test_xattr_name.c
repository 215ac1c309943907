/* test_xattr_name.c - which names of extended attributes go through. */
#include "fs/xattr_name.h"

#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

static void names_of_known_spaces(void **state)
{
	(void)state;
	for (int acl = 0; acl < 2; acl++) {
		assert_int_equal(xattr_name_check("user.a", acl), 0);
		assert_int_equal(xattr_name_check("trusted.a", acl), 0);
		assert_int_equal(xattr_name_check(XATTR_CAPS, acl), 0);
		assert_int_equal(xattr_name_check("user.", acl), -EINVAL);
		assert_int_equal(xattr_name_check("security.", acl), -EINVAL);
	}
}

static void others_are_none(void **state)
{
	static const char *const others[] = {
		"",
		"user",
		"users.a",
		"system.nfs4_acl",
		"system.posix_acl",
		"system.posix_acl_access2",
		"system.",
		"btrfs.compression",
		"osx.a",
		"Xuser.a",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		for (int acl = 0; acl < 2; acl++)
			assert_int_equal(xattr_name_check(others[i], acl),
					 -EOPNOTSUPP);
}

static void acls_where_they_are_kept(void **state)
{
	(void)state;
	assert_int_equal(xattr_name_check("system.posix_acl_access", true), 0);
	assert_int_equal(xattr_name_check("system.posix_acl_default", true), 0);
	assert_int_equal(xattr_name_check("system.posix_acl_access", false),
			 -EOPNOTSUPP);
}

static void too_long(void **state)
{
	char name[300] = "user.";

	(void)state;
	memset(name + 5, 'x', 250);
	assert_int_equal(xattr_name_check(name, true), 0);
	name[255] = 'x';
	assert_int_equal(xattr_name_check(name, true), -ERANGE);
}

static void a_list_loses_the_others(void **state)
{
	static const char all[] = "system.nfs4_acl\0user.a\0btrfs.compression\0"
				  "system.posix_acl_access\0trusted.b";
	static const char with_acls[] =
		"user.a\0system.posix_acl_access\0trusted.b";
	static const char without[] = "user.a\0trusted.b";
	char list[sizeof(all)];

	(void)state;
	memcpy(list, all, sizeof(all));
	assert_int_equal(xattr_names_filter(list, sizeof(all), true),
			 sizeof(with_acls));
	assert_memory_equal(list, with_acls, sizeof(with_acls));
	memcpy(list, all, sizeof(all));
	assert_int_equal(xattr_names_filter(list, sizeof(all), false),
			 sizeof(without));
	assert_memory_equal(list, without, sizeof(without));
	assert_int_equal(xattr_names_filter(list, 0, true), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_of_known_spaces),
		cmocka_unit_test(others_are_none),
		cmocka_unit_test(acls_where_they_are_kept),
		cmocka_unit_test(too_long),
		cmocka_unit_test(a_list_loses_the_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
