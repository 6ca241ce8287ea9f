export interface ChaosOptions {
  seed: number;
  cycles: number;
  /** Start no further cycle after this long. */
  seconds: number;
  /** Everything is built: start at once. */
  isPrepared: boolean;
  signal: AbortSignal;
}
