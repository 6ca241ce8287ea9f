export interface ChaosOptions {
  seed: number;
  cycles: number;
  /** Start no further cycle after this long. */
  seconds: number;
  cacheDirectory: string;
  /** Everything is built: start at once. */
  isPrepared: boolean;
  signal: AbortSignal;
}
