import { collections } from './truth.ts';

/** What clients such as kubectl ask before anything else: which groups and resources there are. */
export function discover(path: string): object | undefined {
  const [, root, group, version, ...rest] = path.split('/');
  if (rest.length > 0) return undefined;
  const versions = [...new Set([...collections.values()].map(({ apiVersion }) => apiVersion))];
  if (root === 'api' && group === undefined)
    return { kind: 'APIVersions', versions: versions.filter((name) => !name.includes('/')) };
  if (root === 'apis' && group === undefined)
    return { kind: 'APIGroupList', apiVersion: 'v1', groups: groupsOf(versions) };
  const wanted = root === 'api' && version === undefined ? group : `${group}/${version}`;
  if (wanted === undefined || !versions.includes(wanted)) return undefined;
  const resources = [...collections].flatMap(([name, { kind, apiVersion, namespaced }]) => {
    if (apiVersion !== wanted) return [];
    const resource = {
      name,
      singularName: kind.toLowerCase(),
      namespaced,
      kind,
      verbs: ['get', 'list', 'watch', 'create'],
    };
    return name === 'pods' ? [resource, { ...resource, name: 'pods/exec', kind: 'PodExecOptions' }] : [resource];
  });
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: wanted, resources };
}

function groupsOf(versions: readonly string[]): object[] {
  return versions
    .filter((name) => name.includes('/'))
    .map((groupVersion) => {
      const [name = '', version = ''] = groupVersion.split('/');
      const entry = { groupVersion, version };
      return { name, versions: [entry], preferredVersion: entry };
    });
}
