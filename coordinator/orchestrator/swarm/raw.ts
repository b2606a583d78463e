import { z } from 'zod';

/**
 * The parts of the engine's answers that the coordinator reads (Docker Engine API 1.41 and later, sections Service, Task, Node,
 * Network). Everything else is passed on untouched: a saved spec must go back as it came.
 */

const labelsSchema = z.record(z.string(), z.string()).nullish();

/** Times in nanoseconds; 0 or absent: not said. */
const healthSchema = z
  .object({
    Test: z.array(z.string()).nullish(),
    Interval: z.number().optional(),
    Timeout: z.number().optional(),
    Retries: z.number().optional(),
    StartPeriod: z.number().optional(),
  })
  .nullish();

export const serviceSchema = z.object({
  ID: z.string(),
  Version: z.object({ Index: z.number() }),
  Spec: z.record(z.string(), z.unknown()).and(
    z.object({
      Name: z.string(),
      Labels: labelsSchema,
      TaskTemplate: z.looseObject({
        ForceUpdate: z.number().optional(),
        RestartPolicy: z
          .looseObject({ Condition: z.string().optional(), MaxAttempts: z.number().optional() })
          .optional(),
        ContainerSpec: z.object({ Image: z.string(), Labels: labelsSchema, Healthcheck: healthSchema }).optional(),
      }),
      Mode: z.object({
        Replicated: z.object({ Replicas: z.number().optional() }).optional(),
        Global: z.object({}).optional(),
      }),
    }),
  ),
  Endpoint: z
    .object({
      VirtualIPs: z.array(z.object({ NetworkID: z.string(), Addr: z.string().optional() })).nullish(),
      Ports: z.array(z.object({ PublishMode: z.string().optional() })).nullish(),
    })
    .optional(),
  UpdateStatus: z.object({ State: z.string().optional(), Message: z.string().optional() }).nullish(),
});
export type RawService = z.infer<typeof serviceSchema>;

export const taskSchema = z.object({
  ID: z.string(),
  ServiceID: z.string().optional(),
  Slot: z.number().optional(),
  NodeID: z.string().optional(),
  DesiredState: z.string(),
  CreatedAt: z.string(),
  Spec: z.looseObject({ ForceUpdate: z.number().optional() }),
  Status: z.object({
    State: z.string(),
    Message: z.string().optional(),
    Err: z.string().optional(),
    ContainerStatus: z.object({ ContainerID: z.string().optional(), PID: z.number().optional() }).nullish(),
  }),
  NetworksAttachments: z
    .array(
      z.object({
        Network: z.object({
          ID: z.string(),
          Spec: z.object({ Name: z.string(), Ingress: z.boolean().optional() }),
          DriverState: z.object({ Name: z.string().optional() }).optional(),
          IPAMOptions: z.object({ Configs: z.array(z.object({ Subnet: z.string().optional() })).nullish() }).optional(),
        }),
        Addresses: z.array(z.string()).nullish(),
      }),
    )
    .nullish(),
});
export type RawTask = z.infer<typeof taskSchema>;

export const nodeSchema = z.object({
  ID: z.string(),
  Version: z.object({ Index: z.number() }),
  Spec: z.looseObject({ Availability: z.string().optional(), Labels: labelsSchema }),
  Description: z.object({ Hostname: z.string() }),
  Status: z.object({ State: z.string(), Addr: z.string().optional() }),
  ManagerStatus: z.object({ Addr: z.string().optional() }).nullish(),
});
export type RawNode = z.infer<typeof nodeSchema>;

export const networkSchema = z.object({
  Id: z.string(),
  Name: z.string(),
  Driver: z.string(),
  Attachable: z.boolean().optional(),
  Internal: z.boolean().optional(),
  EnableIPv6: z.boolean().optional(),
  Ingress: z.boolean().optional(),
  IPAM: z.object({ Config: z.array(z.object({ Subnet: z.string().optional() })).nullish() }).nullish(),
  Options: z.record(z.string(), z.string()).nullish(),
  Labels: labelsSchema,
});
export type RawNetwork = z.infer<typeof networkSchema>;

export const infoSchema = z.object({
  Name: z.string(),
  Swarm: z.object({ NodeID: z.string(), Cluster: z.object({ ID: z.string() }).nullish() }),
});
export type RawInfo = z.infer<typeof infoSchema>;

/** A config, of which we use the labels. */
export const configSchema = z.object({
  ID: z.string(),
  Version: z.object({ Index: z.number() }),
  Spec: z.object({ Name: z.string(), Labels: labelsSchema, Data: z.string().optional() }),
});
