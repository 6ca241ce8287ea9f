/**
 * Vitest gives an event one second to come. That asserts a time, and on two busy cores it fails: here a wait ends with its
 * event, or by this.
 */
import { vi } from "vitest";

const PATIENCE_MS = 60_000;
const { waitFor, waitUntil } = vi;

const patient = (options: number | { timeout?: number; interval?: number } = {}) =>
  typeof options === "number" ? options : { timeout: PATIENCE_MS, ...options };

vi.waitFor = (work, options) => waitFor(work, patient(options));
vi.waitUntil = (work, options) => waitUntil(work, patient(options));
