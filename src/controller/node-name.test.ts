import { expect, test } from 'vitest';

import { nodeName } from '../model/names.ts';
import { checkNodeName } from './node-name.ts';

test.each([
  [{ isListed: false, ownPods: 0, allPods: 1 }, 1],
  [{ isListed: true, ownPods: 0, allPods: 1 }, 0],
  [{ isListed: undefined, ownPods: 0, allPods: 1 }, 0],
  [{ isListed: false, ownPods: 1, allPods: 1 }, 0],
  [{ isListed: false, ownPods: 0, allPods: 0 }, 0],
])('%j: %i warnings', (mentions, count) => {
  expect(checkNodeName(nodeName('n'), mentions)).toHaveLength(count);
});
