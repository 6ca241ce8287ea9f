import { describe } from "vitest";
import { hypervisorContract } from "../hypervisor.contract.ts";
import { openQemuContractHost } from "./open-qemu-contract-host.ts";

describe("qemu hypervisor", () => hypervisorContract(openQemuContractHost));
