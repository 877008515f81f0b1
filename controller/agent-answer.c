#include <config.h>
#include "controller/agent-answer.h"

#include <stdlib.h>
#include <string.h>
#include "openvswitch/json.h"
#include "pipeline/model.h"
#include "unixctl.h"
#include "util.h"

/* Begins an answer, in JSON or not.  It ends with answer_finish(). */
void
answer_begin(struct answer *answer, bool json)
{
    answer->json = json;
    ds_init(&answer->text);
    answer->root = json_object_create();
}

/* Begins the answer to a command with these arguments.  It ends with answer_send() or answer_refuse(). */
void
answer_init(struct answer *answer, int argc, const char *argv[])
{
    answer_begin(answer, argc > 1 && !strcmp(argv[1], "--json"));
}

/* The command's argument at 'index', not counting --json, or NULL. */
const char *
answer_arg(const struct answer *answer, int argc, const char *argv[], int index)
{
    index += 1 + answer->json;
    return index < argc ? argv[index] : NULL;
}

static void
answer_destroy(struct answer *answer)
{
    ds_destroy(&answer->text);
    json_destroy(answer->root);
}

/* Frees 'answer' and returns it in the form that was asked for, which the caller frees. */
char *
answer_finish(struct answer *answer)
{
    char *s = (answer->json ? json_to_string(answer->root, JSSF_PRETTY | JSSF_SORT)
               : ds_steal_cstr(&answer->text));

    answer_destroy(answer);
    return s;
}

void
answer_send(struct answer *answer, struct unixctl_conn *conn)
{
    char *s = answer_finish(answer);

    unixctl_command_reply(conn, s);
    free(s);
}

/* Answers with 'error' instead, and frees it. */
void
answer_refuse(struct answer *answer, struct unixctl_conn *conn, char *error)
{
    unixctl_command_reply_error(conn, error);
    free(error);
    answer_destroy(answer);
}

/* Puts 'value', null if that is NULL, into 'object' as 'name'. */
void
answer_put_string(struct json *object, const char *name, const char *value)
{
    json_object_put(object, name, value ? json_string_create(value) : json_null_create());
}

void
answer_put_count(struct json *object, const char *name, long long int value)
{
    json_object_put(object, name, json_integer_create(value));
}

/* Puts 'problems' under that name into the answer; the text has them only if there are any. */
void
answer_put_problems(struct answer *answer, const struct problem_list *problems)
{
    struct json *array = json_array_create_empty();

    if (problems->n) {
        ds_put_cstr(&answer->text, "problems:\n");
    }
    for (size_t i = 0; i < problems->n; i++) {
        struct json *object = json_object_create();

        answer_put_string(object, "object", problems->problems[i].object);
        answer_put_string(object, "text", problems->problems[i].text);
        json_array_add(array, object);
        ds_put_format(&answer->text, "    %s: %s\n", problems->problems[i].object,
                      problems->problems[i].text);
    }
    json_object_put(answer->root, "problems", array);
}
