import { type MachineSize, PLAN_NAMES, PLANS, type PlanName } from "@atoll/protocol/plans";
import { machineSize } from "#ui/machine-size.ts";

const NAMES: Record<PlanName, string> = {
  free: "Small",
  pro: "Medium",
  team: "Large",
  enterprise: "Extra large",
};

export interface SizeOption {
  value: PlanName;
  label: string;
  hint: string;
  size: MachineSize;
}

/** The sizes a plan may use, smallest first: its own and those of every smaller plan. */
export function sizeOptions(plan: PlanName): SizeOption[] {
  return PLAN_NAMES.slice(0, PLAN_NAMES.indexOf(plan) + 1).map((value) => {
    const { cpus, memoryMb, diskMb } = PLANS[value];
    const size = { cpus, memoryMb, diskMb };
    return { value, label: NAMES[value], hint: machineSize(size), size };
  });
}
