// Pseudo terminals: opened from the container's own devpts, the master goes to the shim.
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "spawn.h"

int open_terminal(int pts) {
  int master = openat(pts, "ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (master < 0) return -1;
  int unlocked = 0;
  if (ioctl(master, TIOCSPTLCK, &unlocked) < 0) return -1;
  int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (slave < 0) return -1;

  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  char letter = kTerminal;
  iovec part = {&letter, 1};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* head = CMSG_FIRSTHDR(&message);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_RIGHTS;
  head->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(head), &master, sizeof(int));
  if (sendmsg(sync_fd, &message, MSG_NOSIGNAL) < 0) return -1;
  close(master);
  return slave;
}
