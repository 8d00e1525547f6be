/** Loads the native addon (build/Release/keelson_addon.node) and gives its functions their types. */
import { createRequire } from 'node:module';

/** An error of the addon: a failed system call. */
export interface NativeError extends Error {
  /** `ENOENT`, `EEXIST` … */
  code: string;
  errno: number;
  syscall: string;
}

/** One change by rtnetlink. Errors whose codes are in `ignore` are passed over. */
export type NetlinkOperation = { ignore?: string[] } & (
  | { op: 'addBridge'; name: string; mac?: string; mtu?: number; group?: number; up?: boolean }
  /** `mac` is the peer's; `netns` the path of the namespace that the peer is born in. */
  | {
      op: 'addVeth';
      name: string;
      peer: string;
      netns?: string;
      mac?: string;
      mtu?: number;
      group?: number;
      master?: string;
      up?: boolean;
    }
  | {
      op: 'setLink';
      name: string;
      up?: boolean;
      mtu?: number;
      group?: number;
      mac?: string;
      master?: string;
      alias?: string;
      /** Of a bridge's port: lets a frame leave by the port that it came in at. */
      hairpin?: boolean;
    }
  | { op: 'deleteLink'; name: string }
  /** All links of the group, in the time of one; ENODEV when there is none. */
  | { op: 'deleteGroup'; group: number }
  /** `deprecated`: connections that the machine itself begins do not come from it (IPv6 only). */
  | { op: 'addAddress' | 'deleteAddress'; name: string; address: string; deprecated?: boolean }
  /** `destination` is a CIDR, or `default` (`::/0` of IPv6); an existing route to it is replaced. */
  | {
      op: 'addRoute' | 'deleteRoute';
      destination: string;
      gateway?: string;
      name?: string;
      protocol?: number;
      priority?: number;
    }
);

export interface NetworkLink {
  index: number;
  name: string;
  /** `bridge`, `veth` …; empty for hardware and lo. */
  kind: string;
  mac: string;
  mtu: number;
  /** Index of the bridge it is a port of, 0 if none. */
  master: number;
  up: boolean;
  alias: string;
}

export interface NetworkRoute {
  /** A CIDR, or `default` (`::/0` of IPv6). */
  destination: string;
  gateway: string;
  /** Index of the link. */
  link: number;
  protocol: number;
  priority: number;
}

/** Which tracked connections are meant: what is absent counts for any. */
export interface FlowFilter {
  /** Number of the transport protocol, such as 17. */
  protocol: number;
  /** What the client sent to. */
  original?: string;
  originalPort?: number;
  /** Who answers: after translation of the destination. */
  reply?: string;
  replyPort?: number;
}

/** Unpacks one layer's tar stream into a folder. One call at a time; errors with code EBADMSG tell a corrupt stream. */
export interface LayerUnpacker {
  write(chunk: Buffer): Promise<void>;
  /** `size`: bytes of all regular files. */
  close(): Promise<{ size: number; entries: number }>;
}

/** Of `umount`: out of sight at once, and gone when nobody has it any more. */
export const MNT_DETACH = 2;

export interface NativeAddon {
  /**
   * Starts a command with one argument in a session of its own, without environment; its descriptor 3 is the other end
   * of `socket`, and its standard streams are /dev/null. It must be reaped.
   */
  spawnDetached(path: string, argument: string): Promise<{ pid: number; socket: number }>;
  /** Waits for the end of a child on a worker thread: call it when the end is near. No child: resolves at once. */
  reap(pid: number): Promise<void>;
  mount(source: string, target: string, type: string, flags: number, data: string): Promise<void>;
  umount(target: string, flags: number): Promise<void>;
  /** Mounts folders on others: what is 0 on the disk is `base` there, and so on for `size` ids. */
  mountMapped(sources: string[], targets: string[], base: number, size: number): Promise<void>;
  /** Exclusive lock of an open file; with `wait` false it rejects with EAGAIN when another holds it. */
  flock(fd: number, wait: boolean): Promise<void>;
  /** The extended attributes of a path itself, also where it is a symlink. */
  xattrs(path: string): Promise<Record<string, Buffer>>;
  /** Makes a network namespace that `path`, a file, keeps until it is unmounted; one that is there stays. */
  createNetworkNamespace(path: string): Promise<void>;
  /** A TCP connection made in a network namespace, as a file descriptor; rejects with ECONNREFUSED and such. */
  connectInNamespace(netns: string, address: string, port: number, timeoutMs: number): Promise<number>;
  /** Runs operations in order in a network namespace (a path; '' is the process's own) up to the first that fails. */
  netlink(netns: string, operations: NetlinkOperation[]): Promise<void>;
  listLinks(netns: string): Promise<NetworkLink[]>;
  listAddresses(netns: string): Promise<{ link: number; address: string }[]>;
  /** Unicast routes of the main table. */
  listRoutes(netns: string): Promise<NetworkRoute[]>;
  /** Tells all neighbours on a link, by gratuitous ARP or a neighbour advertisement, that an address is here now. */
  announce(link: string, address: string): Promise<void>;
  /** Sends one transaction of nfnetlink messages; rejects with the first error of the kernel, and then nothing was changed. */
  netfilter(batch: Uint8Array): Promise<void>;
  /** Forgets the tracked connections that any of the filters means; gives their number. */
  deleteFlows(filters: FlowFilter[]): Promise<number>;
  /** `parents`: the unpacked layers below, lowest first; folders that the layer does not describe are as there. */
  LayerUnpacker: new (
    folder: string,
    parents: string[],
  ) => LayerUnpacker;
}

export const native: NativeAddon = createRequire(import.meta.url)(
  '../../../build/Release/keelson_addon.node',
);
