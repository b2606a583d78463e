import { z } from 'zod';

/**
 * The parts of the engine's answers that the coordinator reads (Docker Engine API 1.41 and later, sections Service, Task, Node,
 * Network). Everything else is passed on untouched: a saved spec must go back as it came.
 */

export const rawSpecSchema = z.record(z.string(), z.unknown());
/** A spec as Swarm's API gives and takes it. */
export type RawSpec = z.infer<typeof rawSpecSchema>;

const labelsSchema = z.record(z.string(), z.string()).nullish();

export const serviceSchema = z.object({
  ID: z.string(),
  Version: z.object({ Index: z.number() }),
  Spec: rawSpecSchema.and(
    z.object({
      Name: z.string(),
      Labels: labelsSchema,
      TaskTemplate: z.object({
        ForceUpdate: z.number().optional(),
        ContainerSpec: z.object({ Image: z.string(), Labels: labelsSchema }).optional(),
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
  Spec: z.object({ ForceUpdate: z.number().optional() }),
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
  Spec: z.object({ Availability: z.string().optional(), Labels: labelsSchema }),
  Description: z.object({ Hostname: z.string() }),
  Status: z.object({ State: z.string(), Addr: z.string().optional() }),
  ManagerStatus: z.object({ Addr: z.string().optional() }).nullish(),
});

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

/** A node of the Swarm, and where its agent listens. */
export interface SwarmNode {
  readonly id: string;
  readonly hostname: string;
  /** `host:port` of the agent. */
  readonly agentAddress: string;
  /** Up, and taking tasks. */
  readonly usable: boolean;
  readonly state: string;
  readonly availability: string;
}

export interface SwarmNetwork {
  readonly name: string;
  readonly id: string;
  readonly subnets: readonly string[];
}

/** A task with its container, as the coordinator needs it. */
export interface SwarmTask {
  readonly service: string;
  readonly serviceId: string;
  /** `"1"` … for replicated services, the node's host name for global ones. */
  readonly slot: string;
  readonly taskId: string;
  readonly containerId: string;
  readonly node: string;
  readonly state: string;
  readonly desiredState: string;
  readonly error: string;
  readonly createdAt: string;
  readonly forceUpdate: number;
  /** On overlay networks other than the ingress network. */
  readonly addresses: readonly { readonly network: string; readonly address: string }[];
  readonly networks: readonly SwarmNetwork[];
}

export interface SwarmService {
  readonly id: string;
  readonly name: string;
  readonly mode: 'replicated' | 'global' | 'job';
  readonly replicas: number;
  readonly version: number;
  readonly spec: RawSpec;
  readonly image: string;
  readonly forceUpdate: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly containerLabels: Readonly<Record<string, string>>;
  readonly publishesHostPorts: boolean;
  readonly updateState: string;
}

/** A stack as it runs now. */
export interface Stack {
  readonly name: string;
  readonly services: readonly SwarmService[];
  /** Tasks that Swarm wants running. */
  readonly tasks: readonly SwarmTask[];
}
