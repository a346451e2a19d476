// What came while somebody looked elsewhere: scrolled up, or another tab.

interface Keyed {
	readonly key: string;
}

export class Unread {
	/** The last line that was seen. */
	#seen: string | null = null;
	/** After which line the new ones begin; stays for a while once they are seen, so that one finds the place. */
	#mark: string | null = null;
	#looking = true;

	/** Takes the lines, the oldest first, and whether their end is looked at; gives after which line the new ones begin, and how many are not seen yet. */
	see(lines: readonly Keyed[], looking: boolean): { after: string; count: number } | null {
		if (this.#looking && !looking) this.#mark = this.#seen = lines.at(-1)?.key ?? null;
		// Nothing came meanwhile: nothing is new.
		if (!this.#looking && looking && lines.at(-1)?.key === this.#mark) this.#mark = null;
		this.#looking = looking;
		if (this.#mark === null) return null;
		if (looking) this.#seen = lines.at(-1)?.key ?? null;
		const at = lines.findIndex(({ key }) => key === this.#seen);
		// Where the last that was seen is gone, all are new.
		return { after: this.#mark, count: lines.length - 1 - at };
	}

	/** The mark has served. */
	forget(): void {
		this.#mark = null;
		this.#looking = true;
	}
}
