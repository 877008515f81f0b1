#ifndef CONTROLLER_AGENT_H
#define CONTROLLER_AGENT_H 1

/* ovs-egressd's core: keeps the flows of this node's integration bridge equal to what the source's objects, the
 * switch's ports and the uplink call for.
 *
 *    source ──▶ routes ─┐
 *    ports  ──▶ pods   ─┼─▶ flows by owner ──▶ switch
 *    uplink ──▶ next hops, egress IPs claimed ─┘ */

struct agent;
struct agent_options;

struct agent *agent_create(const struct agent_options *);
void agent_destroy(struct agent *);
void agent_run(struct agent *);
void agent_wait(struct agent *);

#endif /* controller/agent.h */
