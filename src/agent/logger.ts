import { pino } from 'pino';

import type { LogLevel } from './config.ts';

/** Structured lines about what the agent does; names of pods and policies are fields. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** A logger writing JSON lines to `write`. */
export function createLogger(write: (text: string) => void, level: LogLevel = 'info'): Logger {
  return pino(
    { level, base: {}, timestamp: pino.stdTimeFunctions.isoTime, formatters: { level: (level) => ({ level }) } },
    { write },
  );
}
