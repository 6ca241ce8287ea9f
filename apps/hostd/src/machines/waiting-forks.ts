/**
 * Halves of forks that nobody has begun yet: a process over a template, and the layer that is to be its disk's top, waiting
 * for the layers and the memory of whatever is forked next. Starting one takes longer than all the rest of a fork.
 */
import type { Machine } from "../hypervisor/hypervisor.ts";
import { Shelf } from "../pool/shelf.ts";
import type { Template } from "../templates/template-store.ts";

export interface ForkKind {
  template: Template;
  imageKey: string;
}

export interface WaitingForksOptions<Half> {
  make: (kind: ForkKind) => Promise<Half>;
  discard: (half: Half) => Promise<void>;
  /** Whether this host has room for one more machine that waits. */
  mayWait?: ((memoryMb: number) => boolean) | undefined;
  onFault: (error: unknown) => void;
}

/** Kinds that one is kept of: those forked last, because forks come in bursts. */
const KINDS_MAX = 2;

export class WaitingForks<
  Half extends { machine: Pick<Machine, "exited">; directory: { readonly diskId: string } },
> implements AsyncDisposable
{
  readonly #shelf: Shelf<ForkKind, Half>;
  /** The template forked last at the end. */
  readonly #templateIds = new Set<string>();

  constructor({ make, discard, onFault, mayWait = () => true }: WaitingForksOptions<Half>) {
    this.#shelf = new Shelf({
      ...{ make, discard, onFault },
      mayMake: ({ template }) => mayWait(template.size.memoryMb),
      spoilt: ({ machine }) => machine.exited,
    });
  }

  get readyCount(): number {
    return this.#shelf.items.length;
  }

  /** What those that wait may come to use. */
  get readyMemoryMb(): number {
    return this.#shelf.readyKinds.reduce((sum, { template }) => sum + template.size.memoryMb, 0);
  }

  get diskIds(): string[] {
    return this.#shelf.items.map(({ directory }) => directory.diskId);
  }

  /** One that waits, to exactly one caller, who owns it; from here on one of this kind is made with each refill. */
  take(kind: ForkKind): Half | undefined {
    const { templateId } = kind.template;
    this.#templateIds.delete(templateId);
    this.#templateIds.add(templateId);
    this.#shelf.keep(templateId, kind, 1);
    const [oldest] = this.#templateIds;
    if (oldest !== undefined && this.#templateIds.size > KINDS_MAX) {
      this.#templateIds.delete(oldest);
      this.#shelf.forget(oldest);
    }
    return this.#shelf.take(templateId);
  }

  refill(): void {
    this.#shelf.refill();
  }

  settled(): Promise<void> {
    return this.#shelf.settled();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#shelf[Symbol.asyncDispose]();
  }
}
