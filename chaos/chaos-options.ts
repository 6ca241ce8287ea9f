export interface ChaosOptions {
  seed: number;
  cycles: number;
  /** Start no further cycle after this long. */
  seconds: number;
  signal: AbortSignal;
}
