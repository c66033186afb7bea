/** @file pier_udp.h
 *  UDP over IPv4 and IPv6: datagrams, to and from anybody or one peer, and groups.
 *
 *  A datagram comes whole or not at all, and may be without a byte: that is a message like any other and no end, which
 *  a UDP handle never comes to. pier_read() and pier_write() serve it too: a read does not tell who sent the datagram, and
 *  a write goes to the peer of pier_udp_connect(). */
#ifndef PIER_UDP_H
#define PIER_UDP_H

#include "pier_address.h"
#include "pier_handle.h"

#ifdef __cplusplus
extern "C" {
#endif

/** How to open a UDP handle. All zero is a good choice. */
typedef struct pier_udp_options {
  pier_family family; /**< where no address is given: of which family; none: #PIER_IPV4 */
  bool dual_stack;    /**< on an IPv6 address: IPv4 as well, whose addresses are then written as "::ffff:127.0.0.1" */
  bool share_address; /**< others who say so too may have the same address (SO_REUSEADDR): each gets what is sent to a group, and
                           one of them, the system chooses which, what is sent to the address itself. Otherwise it is exclusively ours. */
  bool broadcast;     /**< may send to broadcast addresses */
} pier_udp_options;

/** What can be set on and read from a UDP handle. */
typedef enum pier_udp_option {
  PIER_UDP_BROADCAST = 1,       /**< 0 or 1: may send to broadcast addresses */
  PIER_UDP_HOPS,                /**< 1 to 255: how many routers a datagram may pass (time to live) */
  PIER_UDP_GROUP_HOPS,          /**< 0 to 255: the same for one that is sent to a group; 0: stays on this machine */
  PIER_UDP_GROUP_LOOP,          /**< 0 or 1: what is sent to a group comes to its members on this machine too. Linux: set on the
                                     handle that sends; Windows: on the one that receives, for IPv4 */
  PIER_UDP_GROUP_INTERFACE,     /**< the index of the interface that groups are sent to through; 0: the system's choice. To be set only */
  PIER_UDP_SEND_BUFFER_BYTES,   /**< the kernel's buffer */
  PIER_UDP_RECEIVE_BUFFER_BYTES /**< the kernel's buffer: what comes while it is full is lost */
} pier_udp_option;

/** Opens a UDP handle, bound to `address`; port 0 lets the system choose (pier_udp_local_address() tells). A null `address` is any
 *  address of this machine, of the family of the options, and a port of the system's choice. `options` may be null.
 *
 *  What a closed port answers to an earlier datagram is nothing that a receive would fail with, unless the handle is connected
 *  (see pier_udp_connect()). A handle that you opened yourself and registered keeps what you have set.
 *  #PIER_EADDRINUSE, #PIER_EADDRNOTAVAIL, #PIER_EAFNOSUPPORT, #PIER_EACCES, #PIER_EINVAL, #PIER_EMFILE, #PIER_ENOMEM. Any thread.
 *  (WSASocketW, bind, WSAIoctl(SIO_UDP_CONNRESET); socket, bind.) */
PIER_API int pier_udp_open(pier_loop *loop, const pier_address *address, const pier_udp_options *options, pier_handle *handle);

/** Gives the handle a peer: pier_write() sends to it, and only its datagrams are received. A null `peer` takes the peer away
 *  again. At once, on the calling thread; nothing is sent. Receives in flight stay there.
 *
 *  With a peer, the answer of a closed port is told: a later receive or send ends with #PIER_ECONNREFUSED (on Windows it may be
 *  #PIER_ECONNRESET), once, and the handle goes on working. #PIER_EINVAL for no address or port 0, #PIER_EAFNOSUPPORT for one of another
 *  family than the handle's, #PIER_ENETUNREACH, #PIER_EHOSTUNREACH, #PIER_EBADF if it is no UDP handle. Any thread. (connect.) */
PIER_API int pier_udp_connect(pier_handle handle, const pier_address *peer);

/** Receives one datagram; `from` of the result says who sent it. What does not fit is lost: the callback gets the bytes that did
 *  and #PIER_EMSGSIZE. A datagram without a byte is #PIER_OK with 0 bytes. A receive of no length waits for a datagram,
 *  and takes nothing (nor says whose it is). Several may be in flight: they are served in the order of their submits.
 *  #PIER_EBADF if it is no UDP handle, and the usual ones of pier_io.h. Any thread. (WSARecvFrom, recvmsg.) */
PIER_API pier_operation pier_receive_from(pier_handle handle, void *buffer, size_t length, uint64_t deadline_ns,
                                          pier_callback callback, void *context);

/** Sends one datagram to an address, which is copied; also on a handle with a peer. `length` may be 0.
 *  #PIER_EMSGSIZE for one that is larger than can be sent, #PIER_EINVAL for no address or port 0, #PIER_EAFNOSUPPORT for one of
 *  another family than the handle's, #PIER_EACCES for a broadcast address that was not allowed, #PIER_ENETUNREACH,
 *  #PIER_EBADF if it is no UDP handle, and the usual ones of pier_io.h. That it was sent does not say that it arrives.
 *  Any thread. (WSASendTo, sendmsg.) */
PIER_API pier_operation pier_send_to(pier_handle handle, const void *buffer, size_t length, const pier_address *to,
                                     uint64_t deadline_ns, pier_callback callback, void *context);

/** Sends datagrams here and now, as many as go without waiting, in their order: no operation, no callback. #PIER_OK with their number in
 *  `*sent`, at least one; #PIER_EAGAIN with 0 where none can go without waiting, or where sends that were submitted before wait, and always
 *  for a Windows socket that was registered: use pier_send_to(). Otherwise what pier_send_to() says of the first that could not be sent, and 0.
 *  `count` may be anything up to #PIER_PARTS_MAX. Addresses and bytes are yours again at once.
 *
 *  On Linux those that follow each other to one address and are of one length, the last perhaps shorter, go through the network's code as one and are
 *  cut at its end, which is several times cheaper; what is on the wire is the same. It is not done on a socket where you have set UDP_SEGMENT
 *  yourself. Any thread. (sendmmsg, UDP_SEGMENT; WSASendTo for each.) */
PIER_API int pier_try_send(pier_handle handle, const pier_datagram *datagrams, size_t count, size_t *sent);

/** Receives one datagram into several parts, in their order. */
PIER_API pier_operation pier_receivev_from(pier_handle handle, const pier_buffer *parts, size_t count, uint64_t deadline_ns,
                                           pier_callback callback, void *context);

/** Sends several parts, in their order, as one datagram. */
PIER_API pier_operation pier_sendv_to(pier_handle handle, const pier_buffer *parts, size_t count, const pier_address *to,
                                      uint64_t deadline_ns, pier_callback callback, void *context);

/** Joins a group: what is sent to it is received too. `source`: only from that sender; null: from anybody. `interface_index`:
 *  where it is listened for; 0: the system's choice. #PIER_EINVAL for an address that is no group's, #PIER_EAFNOSUPPORT for one of
 *  another family than the handle's, #PIER_EADDRINUSE if it is a member already, #PIER_ENOENT or #PIER_EADDRNOTAVAIL for an
 *  interface that is none, #PIER_EBADF if it is no UDP handle, and what else the system reports. Any thread.
 *  (setsockopt: IP_ADD_MEMBERSHIP, IPV6_ADD_MEMBERSHIP, MCAST_JOIN_SOURCE_GROUP.) */
PIER_API int pier_udp_join(pier_handle handle, const pier_address *group, const pier_address *source, uint32_t interface_index);

/** Leaves a group, with the arguments that it was joined with. #PIER_EADDRNOTAVAIL (with a source it may be #PIER_EINVAL) if it is
 *  no member; otherwise as pier_udp_join(). Any thread. (IP_DROP_MEMBERSHIP, IPV6_DROP_MEMBERSHIP, MCAST_LEAVE_SOURCE_GROUP.) */
PIER_API int pier_udp_leave(pier_handle handle, const pier_address *group, const pier_address *source, uint32_t interface_index);

/** Sets an option. #PIER_EINVAL for an unknown one or a value out of range, #PIER_EBADF if it is no UDP handle. Any thread.
 *  (setsockopt.) */
PIER_API int pier_udp_set(pier_handle handle, pier_udp_option option, int value);

/** Reads an option. Statuses as pier_udp_set(). Any thread. (getsockopt.) */
PIER_API int pier_udp_get(pier_handle handle, pier_udp_option option, int *value);

/** The handle's own address. #PIER_EBADF if it is no UDP handle. Any thread. (getsockname.) */
PIER_API int pier_udp_local_address(pier_handle handle, pier_address *address);

/** The peer's address. #PIER_ENOTCONN if there is none. Any thread. (getpeername.) */
PIER_API int pier_udp_peer_address(pier_handle handle, pier_address *address);

#ifdef __cplusplus
}
#endif

#endif
