#ifndef TESTS_UNIT_OFP_FLOW_TEXT_H
#define TESTS_UNIT_OFP_FLOW_TEXT_H 1

/* For tests: flows from text as ovs-ofctl takes it, and flow sets as text. */

#include <stddef.h>

struct flow_batch;
struct flow_set;

void batch_add_text(struct flow_batch *, const char *text);
void set_replace_text(struct flow_set *, const char *owner, const char *const texts[], size_t n);
char *set_to_text(const struct flow_set *, const char *owner);

#endif /* tests/unit/ofp/flow-text.h */
