#ifndef CONTROLLER_AGENT_ANSWER_H
#define CONTROLLER_AGENT_ANSWER_H 1

/* Answers to what people ask, mostly over unixctl: text, or JSON if the command's first argument is --json. */

#include <stdbool.h>
#include "openvswitch/dynamic-string.h"

struct json;
struct problem_list;
struct unixctl_conn;

/* One answer under construction.  Each fact is put into both forms where it is found; the one that was not asked
 * for is thrown away. */
struct answer {
    bool json;
    struct ds text;
    struct json *root;
};

void answer_begin(struct answer *, bool json);
void answer_init(struct answer *, int argc, const char *argv[]);
const char *answer_arg(const struct answer *, int argc, const char *argv[], int index);
char *answer_finish(struct answer *);
void answer_send(struct answer *, struct unixctl_conn *);
void answer_refuse(struct answer *, struct unixctl_conn *, char *error);

void answer_put_string(struct json *object, const char *name, const char *value);
void answer_put_count(struct json *object, const char *name, long long int value);
void answer_put_problems(struct answer *, const struct problem_list *);

#endif /* controller/agent-answer.h */
