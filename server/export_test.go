package server

// NewFrom is New for a document that a test has changed.
var NewFrom = newEcho
