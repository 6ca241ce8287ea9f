import { BaseSequencer, type TestSpecification } from "vitest/node";

/**
 * Test files by how long they take, from what was measured on two cores. A fresh checkout knows no durations, and what
 * is long but begins last has one core to itself while the other idles.
 */
const LONGEST = [
  "start/npm-start.vm.test.ts",
  "proof/erasure.vm.test.ts",
  "proof/guest-faults.vm.test.ts",
  "qemu/disk-layers.vm.test.ts",
  "link/agent.vm.test.ts",
  "vm-images/boot.vm.test.ts",
  "qemu/machine-life.vm.test.ts",
  "proof/two-hosts.vm.test.ts",
  "workspaces/make-template.vm.test.ts",
  "machines/checkpoints.vm.test.ts",
  "qemu/qemu-machine.vm.test.ts",
  "machines/local-machine-source.vm.test.ts",
  "workspaces/lifecycle.vm.test.ts",
  "scripts/prisma-schema-engine.test.ts",
  "proof/lifecycle.proof.test.ts",
  "packages/db/src/embedded-postgres.test.ts",
  "workspaces/crash.test.ts",
];

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const index = LONGEST.findIndex((end) => moduleId.endsWith(`/${end}`));
      return index < 0 ? LONGEST.length : index;
    };
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b));
  }
}
