import { describe } from "vitest";
import { savedMemoryContract } from "../contract/saved-memory.contract.ts";
import { openQemuContractHost } from "./open-qemu-contract-host.ts";

describe("qemu hypervisor", () => savedMemoryContract(openQemuContractHost));
