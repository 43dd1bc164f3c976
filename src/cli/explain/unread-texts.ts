import type { UnreadFacts } from '../../explain/unread.ts';
import { placeText } from '../../model/diagnostic.ts';
import type { LoadedManifests } from '../../source/manifests/files.ts';
import { isUnread } from '../../source/manifests/input-diagnostic.ts';

/** Places named in an answer before the rest is left to the messages about the inputs. */
const maxPlaces = 3;

/** What nobody knows because a text that may hold policies could not be read; `undefined` if there is none. */
export function unreadTexts({ diagnostics, files }: LoadedManifests): UnreadFacts | undefined {
  const mayHold = new Set(files.filter(({ text }) => text.includes('NetworkPolicy')).map(({ file }) => file));
  const places = diagnostics.flatMap((diagnostic) =>
    isUnread(diagnostic) && diagnostic.span !== undefined && mayHold.has(diagnostic.span.file)
      ? [placeText(diagnostic.span)]
      : [],
  );
  if (places.length === 0) return undefined;
  const help = places
    .slice(0, maxPlaces)
    .map((place) => `correct ${place}: what could not be read there may be a policy of any namespace`);
  return { policies: 'all', owners: false, services: false, help };
}
