// Tells everybody on a link that an address is here now: gratuitous ARP, unsolicited neighbour advertisements.
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/if_ether.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "addon.h"
#include "netlink-socket.h"

namespace keelson {
namespace {

// False for a link without hardware addresses.
bool HardwareAddress(int socket, const std::string& link, unsigned char* to) {
  ifreq request{};
  strncpy(request.ifr_name, link.c_str(), IFNAMSIZ - 1);
  if (ioctl(socket, SIOCGIFHWADDR, &request) < 0) throw SysError{errno, "hardware address of " + link};
  memcpy(to, request.ifr_hwaddr.sa_data, ETH_ALEN);
  return request.ifr_hwaddr.sa_family == ARPHRD_ETHER;
}

void AnnounceByArp(const std::string& link, const std::string& address) {
  OwnedFd socket;
  socket.value = ::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, htons(ETH_P_ARP));
  if (socket.value < 0) throw SysError{errno, "packet socket"};
  ether_arp arp{};
  if (!HardwareAddress(socket.value, link, arp.arp_sha)) return;
  arp.arp_hrd = htons(ARPHRD_ETHER);
  arp.arp_pro = htons(ETH_P_IP);
  arp.arp_hln = ETH_ALEN;
  arp.arp_pln = 4;
  arp.arp_op = htons(ARPOP_REQUEST);
  if (inet_pton(AF_INET, address.c_str(), arp.arp_spa) != 1) throw SysError{EINVAL, "address " + address};
  memcpy(arp.arp_tpa, arp.arp_spa, 4);

  sockaddr_ll to{};
  to.sll_family = AF_PACKET;
  to.sll_protocol = htons(ETH_P_ARP);
  to.sll_ifindex = if_nametoindex(link.c_str());
  to.sll_halen = ETH_ALEN;
  memset(to.sll_addr, 0xff, ETH_ALEN);
  if (sendto(socket.value, &arp, sizeof arp, 0, reinterpret_cast<sockaddr*>(&to), sizeof to) < 0)
    throw SysError{errno, "announce " + address + " on " + link};
}

// RFC 4861 section 7.2.6: to all nodes, with the flag that overrides what they know.
void AnnounceByNdp(const std::string& link, const std::string& address) {
  OwnedFd socket;
  socket.value = ::socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMPV6);
  if (socket.value < 0) throw SysError{errno, "ICMPv6 socket"};
  struct {
    nd_neighbor_advert advert;
    nd_opt_hdr option;
    unsigned char mac[ETH_ALEN];
  } message{};
  if (!HardwareAddress(socket.value, link, message.mac)) return;
  message.advert.nd_na_type = ND_NEIGHBOR_ADVERT;
  message.advert.nd_na_flags_reserved = ND_NA_FLAG_OVERRIDE;
  message.option.nd_opt_type = ND_OPT_TARGET_LINKADDR;
  message.option.nd_opt_len = 1;

  sockaddr_in6 from{}, to{};
  from.sin6_family = to.sin6_family = AF_INET6;
  to.sin6_scope_id = if_nametoindex(link.c_str());
  if (inet_pton(AF_INET6, address.c_str(), &from.sin6_addr) != 1) throw SysError{EINVAL, "address " + address};
  inet_pton(AF_INET6, "ff02::1", &to.sin6_addr);
  message.advert.nd_na_target = from.sin6_addr;
  int hops = 255;
  setsockopt(socket.value, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof hops);
  if (bind(socket.value, reinterpret_cast<sockaddr*>(&from), sizeof from) < 0 ||
      sendto(socket.value, &message, sizeof message, 0, reinterpret_cast<sockaddr*>(&to), sizeof to) < 0)
    throw SysError{errno, "announce " + address + " on " + link};
}

// announce(link, address): Promise<void>
Napi::Value AnnounceAddress(const Napi::CallbackInfo& info) {
  std::string link = info[0].As<Napi::String>(), address = info[1].As<Napi::String>();
  bool v6 = address.find(':') != std::string::npos;
  return Promised(info.Env(), [=] { v6 ? AnnounceByNdp(link, address) : AnnounceByArp(link, address); });
}

}  // namespace

void RegisterAnnounce(Napi::Env env, Napi::Object exports) {
  exports.Set("announce", Napi::Function::New(env, AnnounceAddress));
}

}  // namespace keelson
