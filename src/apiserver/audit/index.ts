/** Puts an auditor together from what `keelson server` is told. */
import type { Logger } from 'pino';
import type { Clock } from '../../api/machinery/clock.js';
import type { WebhookClient } from '../webhooks/index.js';
import { Auditor } from './auditor.js';
import { LogFile } from './log-file.js';
import { loadPolicy } from './policy.js';
import type { Sink } from './sink.js';
import { WebhookSink } from './webhook.js';

export { Auditor, type AuditRecord, auditIdOf } from './auditor.js';

export interface AuditSettings {
  /** A file; nothing is recorded without it. */
  auditPolicyFile?: string;
  /** `-`: standard output. */
  auditLogPath?: string;
  /** Days. */
  auditLogMaxage?: number;
  /** Files. */
  auditLogMaxbackup?: number;
  /** Megabytes. */
  auditLogMaxsize?: number;
  /** A kubeconfig. */
  auditWebhookConfigFile?: string;
  auditWebhookBatchMaxSize?: number;
  /** Seconds. */
  auditWebhookBatchMaxWait?: number;
}

/** Undefined without a policy. Rejects with one clear error about the policy, the file or the webhook. */
export async function openAuditor(
  settings: AuditSettings,
  parts: { client: WebhookClient; clock: Clock; logger: Logger },
): Promise<Auditor | undefined> {
  if (settings.auditPolicyFile === undefined) return undefined;
  const policy = await loadPolicy(settings.auditPolicyFile);
  const sinks: Sink[] = [];
  if (settings.auditLogPath)
    sinks.push(
      await LogFile.open({
        path: settings.auditLogPath,
        maxSize: settings.auditLogMaxsize,
        maxBackups: settings.auditLogMaxbackup,
        maxAge: settings.auditLogMaxage,
        ...parts,
      }),
    );
  if (settings.auditWebhookConfigFile)
    sinks.push(
      await WebhookSink.open({
        config: settings.auditWebhookConfigFile,
        maxBatch: settings.auditWebhookBatchMaxSize,
        maxWaitMs: (settings.auditWebhookBatchMaxWait ?? 30) * 1000,
        ...parts,
      }),
    );
  return new Auditor(policy, sinks, () => parts.clock.now());
}
