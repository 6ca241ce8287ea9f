import type { HostHealthFacts } from "../api/health.ts";

/** Of a host that nothing is wrong with. */
export const fakeHealth = (): HostHealthFacts => ({
  isolation: "emulated",
  template: "ready",
  vmm: "fake 1",
  poolReadyCount: 1,
  forksReadyCount: 0,
});
