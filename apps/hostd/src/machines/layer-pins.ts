/** Layers that live points of this process need, beside what disks and checkpoints name. */
export class LayerPins {
  readonly #pins = new Map<string, Set<readonly string[]>>();

  /** Answers what ends it. */
  add(diskId: string, layerIds: readonly string[]): () => void {
    const pins = this.#pins.get(diskId) ?? new Set();
    this.#pins.set(diskId, pins.add(layerIds));
    return () => {
      pins.delete(layerIds);
      if (pins.size === 0) this.#pins.delete(diskId);
    };
  }

  of(diskId: string): string[] {
    return [...(this.#pins.get(diskId) ?? [])].flat();
  }
}
