// Gratuitous ARP: tells everybody on a link that an address is here now.
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/if_ether.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "addon.h"
#include "netlink-socket.h"

namespace keelson {
namespace {

void Announce(const std::string& link, const std::string& address) {
  ifreq request{};
  strncpy(request.ifr_name, link.c_str(), IFNAMSIZ - 1);
  OwnedFd socket;
  socket.value = ::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, htons(ETH_P_ARP));
  if (socket.value < 0) throw SysError{errno, "packet socket"};
  if (ioctl(socket.value, SIOCGIFHWADDR, &request) < 0) throw SysError{errno, "hardware address of " + link};
  // A link without hardware addresses has no ARP.
  if (request.ifr_hwaddr.sa_family != ARPHRD_ETHER) return;

  ether_arp arp{};
  arp.arp_hrd = htons(ARPHRD_ETHER);
  arp.arp_pro = htons(ETH_P_IP);
  arp.arp_hln = ETH_ALEN;
  arp.arp_pln = 4;
  arp.arp_op = htons(ARPOP_REQUEST);
  memcpy(arp.arp_sha, request.ifr_hwaddr.sa_data, ETH_ALEN);
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

// announce(link, address): Promise<void>
Napi::Value AnnounceAddress(const Napi::CallbackInfo& info) {
  std::string link = info[0].As<Napi::String>(), address = info[1].As<Napi::String>();
  return Promised(info.Env(), [=] { Announce(link, address); });
}

}  // namespace

void RegisterArp(Napi::Env env, Napi::Object exports) {
  exports.Set("announce", Napi::Function::New(env, AnnounceAddress));
}

}  // namespace keelson
