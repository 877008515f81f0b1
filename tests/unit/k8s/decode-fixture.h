#ifndef TESTS_UNIT_K8S_DECODE_FIXTURE_H
#define TESTS_UNIT_K8S_DECODE_FIXTURE_H 1

/* From YAML text to text again, so that a test can state whole values in a line or two. */

#include <stddef.h>

/* Returns every object in 'yaml', read as the file "f.yaml", each on a line of its own:
 *
 *     TYPE ID: FIELD=VALUE ...       what was decoded, without what is absent
 *     LINE ID: ERROR                 what is wrong; ID is "?" if it is unknown
 *
 * The caller must free the string. */
char *decode_to_string(const char *yaml);

/* Fails the test unless 'yaml' decodes to 'expected', see decode_to_string(). */
void assert_decodes(const char *yaml, const char *expected);

#endif /* tests/unit/k8s/decode-fixture.h */
