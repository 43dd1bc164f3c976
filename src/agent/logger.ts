import { pino } from 'pino';

/** Structured lines about what the agent does; names of pods and policies are fields. */
export interface Logger {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** A logger writing JSON lines to `write`. */
export function createLogger(write: (text: string) => void): Logger {
  return pino(
    { base: {}, timestamp: pino.stdTimeFunctions.isoTime, formatters: { level: (level) => ({ level }) } },
    { write },
  );
}
