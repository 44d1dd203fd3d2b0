package jobs

import "context"

// A Piece is a part of an answer's text, in the order in which it came.
type Piece struct {
	Choice int // of the completion, from 0
	Text   string
}

type piecesKey struct{}

// WithPieces has calls under a context hand on the text of their answers as it comes,
// where the dialect can. take is called by the goroutine of the call, and holds it up;
// it keeps nothing of the call waiting for long. What a call handed on is the beginning
// of the texts of its answer, if there is one in the end.
func WithPieces(ctx context.Context, take func(Piece)) context.Context {
	return context.WithValue(ctx, piecesKey{}, take)
}

// PiecesOf is what WithPieces put there; nil: nothing.
func PiecesOf(ctx context.Context) func(Piece) {
	take, _ := ctx.Value(piecesKey{}).(func(Piece))
	return take
}
