/* Feeds arbitrary frames to neighbour_message_parse().  Whatever it accepts must hold what it
 * promises. */

#include <config.h>

#include <stdint.h>
#include <stdlib.h>
#include "ofp/arp-nd.h"
#include "openvswitch/util.h"
#include "packets.h"
#include "util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct neighbour_message msg;
    struct in6_addr subject;

    if (neighbour_message_parse(data, size, &msg)) {
        return 0;
    }

    bool arp = msg.kind == ARP_REQUEST || msg.kind == ARP_REPLY;
    ovs_assert(arp == IN6_IS_ADDR_V4MAPPED(&msg.sender_ip));
    ovs_assert(arp == IN6_IS_ADDR_V4MAPPED(&msg.target_ip));
    ovs_assert(!arp || msg.has_sender_mac);
    ovs_assert(!eth_addr_is_multicast(neighbour_message_mac(&msg)));
    ovs_assert(!eth_addr_is_zero(neighbour_message_mac(&msg)));
    ovs_assert(neighbour_message_subject(&msg, &subject) != neighbour_message_is_probe(&msg));
    return 0;
}
