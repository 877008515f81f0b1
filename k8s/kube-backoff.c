#include <config.h>
#include "k8s/kube-backoff.h"

#include "random.h"
#include "util.h"

/* Returns for how many milliseconds to wait after the 'n_failures'th failure in a row.  That
 * doubles from 'min_ms' up to 'max_ms', and up to half of it is left to chance, so that many
 * clients of one server do not come back all at once.  'retry_after_s' is what the server asked
 * for, or negative. */
int
kube_backoff_ms(int n_failures, int min_ms, int max_ms, int retry_after_s)
{
    int delay = min_ms;

    for (int i = 1; i < n_failures && delay < max_ms; i++) {
        delay *= 2;
    }
    delay = MIN(delay, max_ms);
    delay -= random_range(delay / 2 + 1);

    int asked = MIN(retry_after_s, KUBE_MAX_RETRY_AFTER_S) * 1000;
    return asked > delay ? asked + random_range(min_ms) : delay;
}
