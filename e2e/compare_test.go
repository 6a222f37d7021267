package e2e

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// comparison is a figure and its baseline, in rounds: both are measured in each, so that what else
// goes on in the machine counts for both.
type comparison struct {
	what, unit     string
	digits         int
	figure, beside []float64
	besideWhat     string
}

func (c *comparison) add(figure, beside float64) {
	c.figure, c.beside = append(c.figure, figure), append(c.beside, beside)
}

// comparisons are the rows of the table that make bench writes.
var comparisons []string

// report reports medians, and adds a row to the table: each with the least and the most of the
// rounds.
func (c *comparison) report(b *testing.B) {
	b.Helper()
	ratios := make([]float64, len(c.figure))
	for i := range ratios {
		ratios[i] = c.figure[i] / c.beside[i]
	}
	digits := 2
	if middle(ratios) < 0.1 {
		digits = 3
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(middle(c.figure), strings.ReplaceAll(c.unit, " ", "-"))
	b.ReportMetric(middle(ratios), "x-"+strings.ReplaceAll(c.besideWhat, " ", "-"))
	comparisons = append(comparisons, fmt.Sprintf("| %s | %s %s | %s: %s | %s |", c.what,
		spread(c.figure, c.digits), c.unit, c.besideWhat, spread(c.beside, c.digits), spread(ratios, digits)))
}

func middle(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

func spread(values []float64, digits int) string {
	return fmt.Sprintf("%.*f (%.*f to %.*f)", digits, middle(values), digits, slices.Min(values), digits,
		slices.Max(values))
}

// writeComparisons writes the table to the file that BENCH_TABLE names.
func writeComparisons() error {
	file := os.Getenv("BENCH_TABLE")
	if file == "" || len(comparisons) == 0 {
		return nil
	}
	rows := append([]string{"| what | figure | beside | ratio |", "| --- | --- | --- | --- |"}, comparisons...)
	return os.WriteFile(file, []byte(strings.Join(rows, "\n")+"\n"), 0o644)
}
