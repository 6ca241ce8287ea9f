import { describe } from "vitest";
import { machineLifeContract } from "../contract/machine-life.contract.ts";
import { openQemuContractHost } from "./open-qemu-contract-host.ts";

describe("qemu hypervisor", () => machineLifeContract(openQemuContractHost));
