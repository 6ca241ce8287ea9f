import { describe } from "vitest";
import { diskLayersContract } from "../contract/disk-layers.contract.ts";
import { openQemuContractHost } from "./open-qemu-contract-host.ts";

describe("qemu hypervisor", () => diskLayersContract(openQemuContractHost));
