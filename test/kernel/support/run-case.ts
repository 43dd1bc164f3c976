import type { Answered, Cell } from '../../lab/matrix.ts';
import { probeAll } from '../../lab/matrix.ts';
import type { LabProtocol, ProbeResult } from '../../lab/traffic.ts';
import { caseStates } from '../../support/cases.ts';
import type { CaseState, ConformanceCase } from '../../support/cases.ts';
import { Enforcement } from './enforcement.ts';
import { placeState } from './placement.ts';
import type { Placement, Shot } from './placement.ts';
import type { Mode, Rig } from './rig.ts';

/** One case on one of its nodes. */
export interface Job {
  readonly conformanceCase: ConformanceCase;
  readonly node: string;
  readonly mode: Mode;
}

/** A packet whose fate is not what the case states, with what it takes to find out why. */
export interface Wrong {
  readonly case: string;
  readonly step: number;
  readonly index: number;
  readonly node: string;
  readonly mode: Mode;
  readonly flow: string;
  readonly expected: string;
  readonly got: ProbeResult;
  readonly path: readonly string[];
}

/** One state on one node: the flows it judged and those it did not. */
export interface StateResult {
  readonly step: number;
  readonly placement: Placement;
}

/** What came of a job. `wrong` holds undisputed flows only. */
export interface JobResult extends Job {
  readonly states: readonly StateResult[];
  readonly wrong: readonly Wrong[];
  /** Disputed flows that went the other way than the case reads the gap. */
  readonly differing: number;
  /** Flows that were sent without rules first, because the rules are expected to stop them. */
  readonly controls: number;
}

interface ShotCell extends Cell {
  readonly shot: Shot;
}

/**
 * Runs a case on a rig. First, without rules, every packet that is to be denied later must arrive: silence then
 * proves the rules and not a defect of the lab. Then the states are applied one on top of the other, and all packets
 * of each are sent.
 */
export async function runCase(rig: Rig, job: Job): Promise<JobResult> {
  const states = caseStates(job.conformanceCase).map((state) => ({ state, placement: placeState(state, job.node) }));
  const wrong: Wrong[] = [];
  let controls = 0;
  let differing = 0;
  const note = (state: CaseState, shot: Shot, expected: string, got: ProbeResult, path: readonly string[]): void => {
    const { conformanceCase, node, mode } = job;
    const flow = JSON.stringify({ ...shot.flow, source: shot.source, destination: shot.destination });
    wrong.push({
      case: conformanceCase.case,
      step: state.step,
      index: shot.index,
      node,
      mode,
      flow,
      expected,
      got,
      path,
    });
  };
  try {
    for (const { state, placement } of states) {
      const denied = placement.shots.filter((shot) => shot.expect === 'deny');
      if (denied.length === 0) continue;
      await rig.arrange(placement);
      controls += denied.length;
      for (const { cell, result } of await fire(rig, denied)) {
        if (!arrived(rig, cell.shot, result))
          note(state, cell.shot, 'to arrive as long as there are no rules', result, []);
      }
    }
    await using enforcement = new Enforcement(rig, job.node);
    for (const { state, placement } of states) {
      await rig.arrange(placement);
      await enforcement.apply(state.objects, placement.pods);
      for (const { cell, result } of await fire(rig, placement.shots)) {
        const { shot } = cell;
        if (shot.expect === 'allow' ? arrived(rig, shot, result) : result.outcome === 'timeout') continue;
        if (isDisputed(shot)) differing += 1;
        else note(state, shot, `${shot.expect} on this node`, result, enforcement.path(shot.flow));
      }
    }
  } finally {
    await rig.clear();
  }
  const results = states.map(({ state, placement }) => ({ step: state.step, placement }));
  return { ...job, states: results, wrong, differing, controls };
}

/** Whether a documented gap decides the flow: counted apart, never wrong. */
export function isDisputed({ flow }: Pick<Shot, 'flow'>): boolean {
  return flow.disputed !== undefined && flow.disputed.length > 0;
}

/** At the right place, from the right address. */
function arrived(rig: Rig, shot: Shot, { outcome, server, seen }: ProbeResult): boolean {
  const reached = outcome === 'open' || outcome === 'answered' || outcome === 'arrived';
  return reached && server === rig.place(shot.to).netns && seen === shot.source;
}

async function fire(rig: Rig, shots: readonly Shot[]): Promise<readonly Answered<ShotCell>[]> {
  return await probeAll(
    rig.lab.traffic,
    shots.map((shot): ShotCell => {
      const { port, protocol } = shot.flow;
      if (port === undefined || protocol === 'ICMP') throw new Error(`no case has ${protocol} without a port`);
      return {
        shot,
        from: rig.place(shot.from),
        source: shot.source,
        to: shot.destination,
        at: rig.place(shot.to),
        port,
        protocol: protocol.toLowerCase() as LabProtocol,
      };
    }),
  );
}
