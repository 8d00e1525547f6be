/** How the attachment of a CSI volume to a node is named, so that all who need it find it. */
import { createHash } from 'node:crypto';

export const attachmentName = (volumeHandle: string, driver: string, node: string): string =>
  `csi-${createHash('sha256').update(`${volumeHandle}${driver}${node}`).digest('hex')}`;

/** What such a name looks like. */
export const ATTACHMENT_NAME = /^csi-[0-9a-f]{64}$/;
