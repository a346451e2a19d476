// What is around the picture, for its controls: the theatre, and the chat.

export interface Surroundings {
	readonly theatre: boolean;
	readonly chat: boolean;
	readonly hasChat: boolean;
	toggleTheatre(): void;
	toggleChat(): void;
}
