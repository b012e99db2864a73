"""The words of the pipeline: every code a Finding or an Unreadable may carry, and what it means.

mappings/findings.toml must hold a row for each of them, and for nothing else.
"""

from __future__ import annotations

from enum import StrEnum


class _Worded(StrEnum):
    """A code with the sentence that explains it to a reviewer."""

    meaning: str

    def __new__(cls, code: str, meaning: str) -> _Worded:
        member = str.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member


class FindingCode(_Worded):
    """What may be said about a page that was digitized."""

    LEAD_NAMES_NOT_READ = "lead_names_not_read", "No printed lead name was recognised on the page."
    LEAD_NAME_UNSURE = (
        "lead_name_unsure",
        "The printed name read at this lead contradicts the layout; the layout was kept.",
    )
    LEAD_MISSING = "lead_missing", "A lead that the layout prints could not be read."
    LEAD_CUT_SHORT = "lead_cut_short", "A lead ends before the end of its printed field."
    LAYOUT_ASSUMED = "layout_assumed", "The layout follows from rows and columns alone, in the standard lead order."
    LAYOUT_AMBIGUOUS = "layout_ambiguous", "Two layouts explain the page almost equally well; the better one was taken."
    RHYTHM_LEAD_ASSUMED = "rhythm_lead_assumed", "The name of a long strip was not read; the usual lead was assumed."
    BOUNDARY_ASSUMED = "boundary_assumed", "The border between two leads was not visible and was set by equal division."
    SCALE_ASSUMED = "scale_assumed", "Speed or gain was neither measured nor printed; the usual value was assumed."
    GAIN_ASSUMED = "gain_assumed", "Neither a pulse nor a printed text tells the gain; the usual one was assumed."
    SPEED_BY_BEATS = (
        "speed_by_beats",
        "Nothing printed tells the speed for sure; the one that suits the beats was taken.",
    )
    SPEED_UNLIKE_BEATS = "speed_unlike_beats", "The beats look as if the paper had run at another speed."
    SCALED_BY_PULSES = "scaled_by_pulses", "The millimetre was measured by the calibration pulses alone."
    SCALE_DISAGREEMENT = (
        "scale_disagreement",
        "Grid, calibration pulse, printed text or file resolution disagree on the scale.",
    )
    RULING_DOUBTED = (
        "ruling_doubted",
        "Resolution, pulses or length contradict the size at which the page was read.",
    )
    HALF_GAIN_CHEST = "half_gain_chest", "The chest leads are printed at half the gain of the limb leads."
    GRID_NOT_FOUND = "grid_not_found", "No paper grid was found; the millimetre is known by other means, and less well."
    GRID_WEAK = "grid_weak", "The paper grid was found only in places or with a large residual."
    RESOLUTION_BY_READING = (
        "resolution_by_reading",
        "The file does not tell the fax's resolution; the one at which the page is read best was taken.",
    )
    PULSE_NOT_FOUND = "pulse_not_found", "No calibration pulse was found."
    SOURCE_UNSURE = "source_unsure", "The kind of image could not be told with confidence."
    ORIENTATION_CORRECTED = "orientation_corrected", "The page was turned or mirrored and was set upright."
    TWO_RECORDINGS = "two_recordings", "More than one ECG is printed on the page; what was read may mix them."
    LEADS_NOT_DELIVERED = (
        "leads_not_delivered",
        "The page shows leads that are not among what was read, such as V4R or V7 to V9.",
    )
    SPIKES_NOT_READ = "spikes_not_read", "Narrow upright strokes, such as pacing spikes, are missing from this lead."
    INK_OVER_LEAD = "ink_over_lead", "Something is written or spilt over this lead."
    EINTHOVEN_RESIDUAL = "einthoven_residual", "I - II + III is not zero: at least one limb lead is wrong here."
    GOLDBERGER_RESIDUAL = (
        "goldberger_residual",
        "Augmented leads contradict one another or the limb leads: at least one of them is wrong here.",
    )
    EINTHOVEN_CORRECTED = "einthoven_corrected", "Limb leads read side by side were reconciled by Einthoven's law."
    RHYTHM_DISAGREEMENT = "rhythm_disagreement", "A lead printed twice was read differently in its two places."
    GAP_BRIDGED = "gap_bridged", "A short stretch without readable ink was bridged and marked."
    GAP_NOT_READ = "gap_not_read", "A stretch of the lead could not be read and was left empty."
    AMPLITUDE_IMPLAUSIBLE = "amplitude_implausible", "The lead's amplitude is outside what a heart produces."
    FLAT_LEAD = "flat_lead", "The lead shows no deflection."
    HEART_RATE_UNSURE = "heart_rate_unsure", "No regular beat could be found in the longest leads."
    SIGMA_LARGE = "sigma_large", "The reading of this lead is uncertain, over most of it or where told."
    CLIPPED_AT_STRIP_EDGE = "clipped_at_strip_edge", "The trace leaves the height that was read; its peaks may be cut."
    LOW_CONFIDENCE = "low_confidence", "The page as a whole was read with low confidence."
    LEAST_SURE = "least_sure", "What takes most from the page's confidence."
    ACQUISITION_DATE_FROM_STUDY = (
        "acquisition_date_from_study",
        "The recording date is the study's date; the page's own date is not known.",
    )
    CORRECTED_BY_PERSON = "corrected_by_person", "A person told how the page is to be read."
    LEAD_MARKED_INVALID = (
        "lead_marked_invalid",
        "A person marked this lead as not to be believed; its samples were taken out.",
    )
    APPROVED_BY_PERSON = "approved_by_person", "A person looked at what was read and let it go out."
    PAGE_LEFT_OUT = (
        "page_left_out",
        "A page of this document was not read, and a person let the others go out without it.",
    )
    NOT_RELEASED = "not_released", "This reading was not released: a person must look at it first."

    PAGE_DAMAGED = "page_damaged", "The picture of this page ends early or is damaged: a part of the page is not shown."
    FAX_LINES_DAMAGED = "fax_lines_damaged", "The fax was received with damaged lines; traces may be off there."
    PREVIEW_LEFT_OUT = "preview_left_out", "The file holds a smaller copy of this page as well, which was left out."
    PAGE_INVERTED = "page_inverted", "The page came white on black and was turned over to black on white."
    OVERLAY_DRAWN = "overlay_drawn", "The object has an overlay; it was drawn onto the page in black before reading."
    OVERLAY_NOT_DRAWN = "overlay_not_drawn", "The object has an overlay that could not be drawn onto the page."
    CHARACTERS_NOT_READ = (
        "characters_not_read",
        "A text of the object is not of the character set it declares, or declares none; it was left out.",
    )
    TIME_NOT_READ = "time_not_read", "A date or a time of the object could not be read and was left out."
    STUDY_UID_NOT_KEPT = (
        "study_uid_not_kept",
        "The study number of the object is none that a receiver could take; the ECG is in a study of its own.",
    )


class UnreadableCode(_Worded):
    """Why a page was not digitized at all."""

    NOT_AN_ECG = "not_an_ecg", "The image does not show an electrocardiogram."
    PAGE_NOT_WHOLE = "page_not_whole", "The page did not come whole, and what came could not be read."
    IMAGE_TOO_SMALL = "image_too_small", "The image has too few pixels for a trace to be read."
    NO_GRID = "no_grid", "Neither a paper grid nor a file resolution gives the scale of the page."
    NO_TRACES = "no_traces", "No row of traces was found."
    NO_LAYOUT = "no_layout", "The rows and columns found fit no known arrangement of leads."
    TOO_FEW_LEADS = "too_few_leads", "Too few leads could be read."
    LOW_CONFIDENCE = "low_confidence", "What was read contradicts itself too strongly to be passed on."
    TOOK_TOO_LONG = "took_too_long", "Reading the page took longer than a page may take."
