import { KernelInterceptor } from './interceptor.ts';
import type { TaskInterceptor } from './task-interceptor.ts';

/**
 * The interceptor of a task whose connections a sidecar carries. The block is the kernel interceptor's, past which only the tunnels between
 * sidecars go (agent/network/rules.ts); colours there are none, for the markers in the tunnels tell what was sent before the cut.
 */
export class ProxiedTaskInterceptor extends KernelInterceptor implements TaskInterceptor {
  override async prepare(): Promise<void> {
    await this.declareBlock();
  }

  override async advance(): Promise<void> {
    await this.unblock();
  }
}
