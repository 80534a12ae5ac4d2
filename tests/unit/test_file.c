/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A file that is looked at again without being kept. */
#include "base/hash.h"
#include "edge/host/file.h"
#include "unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct example {
	char folder[32], path[64];
	struct buf text;
};

static struct example begin(size_t len)
{
	struct example x = {.folder = "/tmp/harborwall-XXXXXX"};

	assert_non_null(mkdtemp(x.folder));
	snprintf(x.path, sizeof(x.path), "%s/file", x.folder);
	for (size_t i = 0; i < len; i++)
		buf_add(&x.text, &(char){(char)(i % 251)}, 1);
	return x;
}

static void write_file(const struct example *x)
{
	struct error err = {0};

	assert_true(file_replace(x->path, buf_text(&x->text), x->text.len, 0600, &err));
}

static void end(struct example *x)
{
	unlink(x->path);
	rmdir(x->folder);
	buf_free(&x->text);
}

static const size_t lengths[] = {0,
				 1,
				 HASH_BLOCK - 1,
				 HASH_BLOCK,
				 HASH_BLOCK + 1,
				 2 * HASH_BLOCK - 1,
				 2 * HASH_BLOCK,
				 2 * HASH_BLOCK + 1,
				 3 * HASH_BLOCK + 77};

TEST(a_file_has_the_hash_of_its_bytes_and_of_no_others)
{
	for (size_t i = 0; i < COUNT_OF(lengths); i++) {
		struct example x = begin(lengths[i]);
		uint64_t hash = hash_large(buf_text(&x.text), x.text.len);

		write_file(&x);
		assert_true(file_has_hash(x.path, x.text.len, hash));
		assert_false(file_has_hash(x.path, x.text.len, hash + 1));
		assert_false(file_has_hash(x.path, x.text.len + 1, hash));
		assert_false(file_has_hash(x.path, x.text.len - 1, hash));
		if (x.text.len) {
			x.text.data[x.text.len - 1] ^= 1;
			write_file(&x);
			assert_false(file_has_hash(x.path, x.text.len, hash));
			x.text.data[x.text.len - 1] ^= 1;
			x.text.data[0] ^= 1;
			write_file(&x);
			assert_false(file_has_hash(x.path, x.text.len, hash));
			x.text.data[0] ^= 1;
		}
		buf_add(&x.text, "", 1);
		write_file(&x);
		assert_false(file_has_hash(x.path, x.text.len, hash));
		end(&x);
	}
}

TEST(what_is_no_file_has_no_hash)
{
	struct example x = begin(0);

	assert_false(file_has_hash(x.path, 0, hash_large("", 0)));
	assert_false(file_has_hash(x.folder, 0, hash_large("", 0)));
	assert_false(file_has_hash("/dev/zero", 3 * HASH_BLOCK, hash_large("", 0))); /* ends */
	end(&x);
}

static bool marks_differ(struct file_mark a, struct file_mark b)
{
	return memcmp(&a, &b, sizeof(a)) != 0;
}

TEST(a_mark_tells_a_file_that_was_written_or_replaced)
{
	struct example x = begin(100);
	struct file_mark first, second;
	FILE *f;

	assert_int_equal(file_mark(x.path).inode, 0);
	write_file(&x);
	first = file_mark(x.path);
	assert_true(first.inode);
	assert_false(marks_differ(first, file_mark(x.path)));
	usleep(20000); /* a tick of the kernel's clock */
	f = fopen(x.path, "r+");
	assert_non_null(f);
	fputc('x', f);
	fclose(f);
	second = file_mark(x.path);
	assert_int_equal(second.size, first.size);
	assert_true(marks_differ(first, second));
	write_file(&x);
	assert_true(marks_differ(second, file_mark(x.path)));
	end(&x);
}

TEST(a_pipe_has_no_mark)
{
	struct example x = begin(0);

	assert_int_equal(mkfifo(x.path, 0600), 0);
	assert_int_equal(file_mark(x.path).inode, 0);
	end(&x);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_has_the_hash_of_its_bytes_and_of_no_others),
		cmocka_unit_test(what_is_no_file_has_no_hash),
		cmocka_unit_test(a_mark_tells_a_file_that_was_written_or_replaced),
		cmocka_unit_test(a_pipe_has_no_mark),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
