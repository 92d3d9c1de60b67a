/* augment_list.c: THE table of augmentations, and the parser of users' lists. Pure. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "convnet/trainer.h"

const struct cn_augmentation_type cn_augmentation_types[] = {
    [CN_AUGMENT_SHIFT] = {"shift", 1000, "pixels along each axis, -x to x"},
    [CN_AUGMENT_ROTATION] = {"rotation", 180, "degrees, -x to x"},
    [CN_AUGMENT_SCALE] = {"scale", 0.9, "each axis times 1 - x to 1 + x"},
    [CN_AUGMENT_STRETCH] = {"stretch", 9,
                            "width over height times 1 / (1 + x) to 1 + x, the longer side kept"},
    [CN_AUGMENT_SHEAR] = {"shear", 2, "columns per row, -x to x"},
    [CN_AUGMENT_ELASTIC] = {"elastic", 1000, "pixels of smooth random bending, 0 to x"},
    [CN_AUGMENT_STROKE] = {"stroke", 8, "pixels wider on each side, or thinner: -x to x"},
    [CN_AUGMENT_BLUR] = {"blur", 8, "pixels of standard deviation, 0 to x"},
    [CN_AUGMENT_NOISE] = {"noise", 1, "standard deviation, 0 to x of full ink"},
    [CN_AUGMENT_CONTRAST] = {"contrast", 1, "bend of the tone curve, -x to x"},
    [CN_AUGMENT_OCCLUSION] = {"occlusion", 1000, "pixels of the side of a lost square, 1 to x"},
    [CN_AUGMENT_RERENDER] =
        {"rerender", 16,
         "drawn 1.25 to x times as large with another pen on another paper, then "
         "preprocessed"},
    [CN_AUGMENT_OUTLIER] = {"outlier", 1, "1, for the share that becomes a picture of no class"},
    [CN_AUGMENT_FLIP] = {"flip", 1, "1, for the share whose left and right change places"},
    [CN_AUGMENT_FLIP_VERTICAL] = {"flip-vertical", 1, "1, for the share turned upside down"},
    [CN_AUGMENT_ZOOM] = {"zoom", 0.9, "both axes times the same, 1 - x to 1 + x"},
    [CN_AUGMENT_BRIGHTNESS] = {"brightness", 1, "added to every value, -x to x"},
    [CN_AUGMENT_CROP] = {"crop", 0.99, "a piece of 1 - x to 1 of the area, anywhere, enlarged"},
    [CN_AUGMENT_CUTOUT] = {"cutout", 1000, "pixels of the side of a square that becomes 0"},
    [CN_AUGMENT_ERASING] = {"erasing", 1, "a rectangle of 0.02 to x of the area becomes noise"},
    [CN_AUGMENT_MIXUP] = {"mixup", 1, "blended with another image and its label, by Beta(x, x)"},
    [CN_AUGMENT_CUTMIX] = {"cutmix", 1, "a piece of another image and its label, by Beta(x, x)"},
    [CN_AUGMENT_ROW] = {"row", 1, "1, for the share cut out of a row of touching digits"},
    [CN_AUGMENT_SIGN] = {"sign", 1, "1, for the share that becomes a sign of no class"},
};
_Static_assert(sizeof cn_augmentation_types / sizeof *cn_augmentation_types == CN_AUGMENTATIONS,
               "a row for each augmentation");

/* Typical variations of handwriting and pictures of it, for digits of 28x28 pixels. */
static const char handwriting[] =
    "shift=1.5,rotation=10,scale=0.12,stretch=0.8@0.3,shear=0.15,elastic=1.6,stroke=0.6@0.25,"
    "blur=0.5@0.1,noise=0.05@0.1,contrast=0.5@0.2,occlusion=4@0.05,rerender=3@0.2,outlier=1@0.05";

/* Typical variations of photographs of one object, for any size. */
static const char photos[] = "flip=1@0.5,rotation=8,zoom=0.15,brightness=0.15,contrast=0.3";

static const struct {
    const char *name, *list;
} presets[] = {{"handwriting", handwriting}, {"photos", photos}};

enum cn_status cn_augmentation_check(const struct cn_augmentation *augmentation,
                                     struct cn_error *error) {
    for (int i = 0; i < CN_AUGMENTATIONS; i++) {
        const double strength = (double)augmentation->strength[i];
        const double share = (double)augmentation->share[i];
        const struct cn_augmentation_type *type = &cn_augmentation_types[i];
        if (!(strength >= 0 && strength <= type->maximum))
            return cn_fail(error, CN_INVALID, "augmentation %s is %g; it must be from 0 to %g",
                           type->name, strength, type->maximum);
        if (!(share >= 0 && share <= 1))
            return cn_fail(
                error, CN_INVALID,
                "augmentation %s has a share of %g of the images; it must be from 0 to 1",
                type->name, share);
    }
    return CN_OK;
}

/* Reads a plain decimal that ends at one of `ends` or the text's end. */
static bool parse_number(const char **text, const char *ends, float *ret_value) {
    char *end;
    const size_t length = strspn(*text, ".0123456789");
    if (length == 0)
        return false;
    *ret_value = strtof(*text, &end);
    if (end != *text + length || (*end != '\0' && strchr(ends, *end) == NULL))
        return false;
    *text = end;
    return true;
}

/* Parses "name=strength[@share]" up to a comma or the end; *text moves there. */
static bool parse_entry(const char **text, struct cn_augmentation *augmentation) {
    const size_t length = strcspn(*text, "=,");
    for (int i = 0; i < CN_AUGMENTATIONS; i++) {
        const char *name = cn_augmentation_types[i].name;
        if (strlen(name) != length || strncmp(*text, name, length) != 0 || (*text)[length] != '=')
            continue;
        *text += length + 1;
        augmentation->share[i] = 1;
        if (!parse_number(text, "@,", &augmentation->strength[i]))
            return false;
        if (**text != '@')
            return true;
        ++*text;
        return parse_number(text, ",", &augmentation->share[i]);
    }
    return false;
}

enum cn_status cn_augmentation_parse(const char *text, struct cn_augmentation *ret_augmentation,
                                     struct cn_error *error) {
    struct cn_augmentation augmentation = {0};
    const size_t first = strcspn(text, ",");
    bool more = strcmp(text, "none") != 0;
    for (size_t i = 0; i < sizeof presets / sizeof *presets; i++) {
        if (first != strlen(presets[i].name) || strncmp(text, presets[i].name, first) != 0)
            continue;
        (void)cn_augmentation_parse(presets[i].list, &augmentation, NULL);
        text += first;
        more = *text == ',';
        text += more ? 1 : 0;
        break;
    }
    while (more) {
        const char *entry = text;
        if (!parse_entry(&text, &augmentation))
            return cn_fail(error, CN_INVALID,
                           "\"%.*s\" is not an augmentation; it must be none, or handwriting or "
                           "photos and entries like shift=2 or stroke=0.5@0.3",
                           (int)strcspn(entry, ","), entry);
        more = *text == ',';
        text += more ? 1 : 0;
    }
    const enum cn_status status = cn_augmentation_check(&augmentation, error);
    if (status == CN_OK)
        *ret_augmentation = augmentation;
    return status;
}

const char *cn_augmentation_format(const struct cn_augmentation *augmentation,
                                   char text[CN_AUGMENTATION_TEXT]) {
    char strength[CN_FLOAT_TEXT], share[CN_FLOAT_TEXT];
    size_t used = 0;
    (void)snprintf(text, CN_AUGMENTATION_TEXT, "none");
    for (int i = 0; i < CN_AUGMENTATIONS; i++) {
        if (!(augmentation->strength[i] > 0 && augmentation->share[i] > 0))
            continue;
        (void)cn_float_format(strength, augmentation->strength[i]);
        (void)cn_float_format(share, augmentation->share[i]);
        const bool all = augmentation->share[i] == 1;
        used += (size_t)snprintf(text + used, CN_AUGMENTATION_TEXT - used, "%s%s=%s%s%s",
                                 used > 0 ? "," : "", cn_augmentation_types[i].name, strength,
                                 all ? "" : "@", all ? "" : share);
    }
    return text;
}
